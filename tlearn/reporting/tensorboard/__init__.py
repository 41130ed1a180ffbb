"""What only TensorBoard shows, and how it is started."""
