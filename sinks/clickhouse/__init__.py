"""ClickHouse: the client, numbered migrations that own the tables and views, and the writer of rows."""
