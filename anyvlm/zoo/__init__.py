"""Named systems, one file per lineage: specs only."""
