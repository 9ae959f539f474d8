"""A worker as a service of systemd: the text of its unit, the unit's file, and systemctl."""
