"""What Services claim outside their objects: addresses of the service network and node ports."""
