"""How accurate annotators are, given all of a project's: estimates from the population, and other signs of quality."""
