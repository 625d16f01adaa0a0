"""Where records come from: Kafka, files, standard input, generators; fixed slots with exact offsets."""
