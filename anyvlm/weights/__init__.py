"""Where weights come from, how their files are read, and how they are written."""
