"""The Temporal server and the Postgres that come as wheels, run as servers of one data folder."""
