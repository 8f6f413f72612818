//! What a network is shown of an image: crops, turns and colours.
