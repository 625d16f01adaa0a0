"""The archive: raw records of a log kept as Parquet files, by partition and offset."""
