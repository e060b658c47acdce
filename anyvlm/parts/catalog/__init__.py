"""Named sizes of backbones and their key tables: facts, no logic."""
