"""From a built system to text: sampling, the static-cache engine, weights packed for the CPU, and `Model`."""
