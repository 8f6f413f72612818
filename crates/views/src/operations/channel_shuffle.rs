use crate::Image;

/// Puts channels in another order: channel `i` becomes what `order[i]` was.
pub(crate) fn shuffle_channels(image: &Image, order: &[usize]) -> Image {
    let mut sources = order.iter();
    image.map_planes([image.height(), image.width()], |_, to| {
        let source = sources.next().expect("an order has all channels");
        to.copy_from_slice(image.plane(*source));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_by_hand() {
        let image = Image::new(3, 1, 1, vec![1.0, 2.0, 3.0]);
        assert_eq!(
            shuffle_channels(&image, &[2, 0, 1]).levels(),
            [3.0, 1.0, 2.0]
        );
    }
}
