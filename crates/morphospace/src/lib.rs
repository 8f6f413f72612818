//! From the pixels of a high-content microscopy screen to a scored map of biology
