"""What a change from one version to another did to a metric, with its error bar."""
