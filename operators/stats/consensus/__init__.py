"""Consensus: what the answer to an item is, learnt from many annotators' labels, label by label."""
