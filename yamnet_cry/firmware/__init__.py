"""The detector on microcontrollers: C code around the network, and the files generated for it."""
