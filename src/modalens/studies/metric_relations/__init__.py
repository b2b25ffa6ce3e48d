"""How the metrics of features relate to each other, to other people's metrics and to what people say."""
