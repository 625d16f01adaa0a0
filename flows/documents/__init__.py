"""The documents in files of annotation tools, whatever form they have: read one by one, in bounded memory."""
