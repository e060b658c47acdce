"""What a system is made of and what it will cost, told without weights: parameters, shapes, tokens."""
