"""What runs when a stage is computed: the store and flat settings in, finished entries out."""
