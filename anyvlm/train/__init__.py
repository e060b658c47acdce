"""Training in stages: what moves, on which data, with which losses."""
