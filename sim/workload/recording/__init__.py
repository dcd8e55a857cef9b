"""Programs recorded under qemu-user as streams: the plugin, its output, their symbols."""
