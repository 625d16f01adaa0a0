"""Named queries: questions to the database, each with its parameters and columns explained. They only ever read."""
