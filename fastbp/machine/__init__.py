"""How loops become machine code: the processor, registers, the compiler and its cache."""
