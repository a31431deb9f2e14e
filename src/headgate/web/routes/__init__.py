"""What can be asked for, a file for each kind of resource. Each class is some rows of the route table."""
