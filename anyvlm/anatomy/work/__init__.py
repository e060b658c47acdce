"""What every part computes, in FLOPs, told from specs and grids alone. One file for each kind of part."""
