"""What the API server does for definitions of custom resources: gives them their names, and clears away after them."""
