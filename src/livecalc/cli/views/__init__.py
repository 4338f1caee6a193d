"""Wire values as text for people. Pure: nothing here asks, prints or colours."""
