"""The contract: events, labels, rows, policy and errors, as plain definitions without behaviour of their own."""
