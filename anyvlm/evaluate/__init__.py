"""How good a system is on a data set: numbers with intervals."""
