"""The methods that come with thbench; imported as `thbench_methods`."""
