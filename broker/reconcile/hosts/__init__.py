"""The life of hosts: from the row that placement has written to the machine of which nothing is left."""
