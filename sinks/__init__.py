"""Where rows go: the database and its migrations, and dead letters."""
