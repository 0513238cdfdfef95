"""Functions' own HTTPS addresses: their configuration, who may call them, and answering them."""
