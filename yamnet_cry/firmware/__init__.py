"""The detector on microcontrollers: the C code around the network, and what is generated for it."""
