"""What the machine could do at most: peak arithmetic and bandwidth, and a cell's share of them."""
