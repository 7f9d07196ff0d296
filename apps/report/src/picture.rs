//! Small pictures inside the page: a palette of viridis colours and PNG as a data URI.

use base64::Engine;

/// viridis at 0, 1/10, ..., 1 (matplotlib's colour map, CC0): perceptually even, readable with
/// every kind of colour vision.
const VIRIDIS: [[u8; 3]; 11] = [
    [0x44, 0x01, 0x54],
    [0x48, 0x24, 0x75],
    [0x41, 0x44, 0x87],
    [0x35, 0x5f, 0x8d],
    [0x2a, 0x78, 0x8e],
    [0x21, 0x91, 0x8c],
    [0x22, 0xa8, 0x84],
    [0x44, 0xbf, 0x70],
    [0x7a, 0xd1, 0x51],
    [0xbd, 0xdf, 0x26],
    [0xfd, 0xe7, 0x25],
];

/// Palette index of "nothing measured here", transparent.
pub(crate) const NOTHING: u8 = 0;

/// Steps of the scale: enough for half a decibel in 40 dB and kind to the compressor.
const STEPS: u8 = 80;

/// Palette index of a level, 0 = the darkest and 1 = the brightest.
pub(crate) fn shade(level: f64) -> u8 {
    1 + (level.clamp(0.0, 1.0) * f64::from(STEPS - 1)).round() as u8
}

/// A picture of palette indices, row-major from the top, as a `data:` URI.
pub(crate) fn data_uri(width: usize, height: usize, indices: &[u8]) -> Option<String> {
    if width == 0 || height == 0 || indices.len() != width * height {
        return None;
    }
    let mut palette = vec![0u8; 3];
    for step in 0..STEPS {
        palette.extend(viridis(f64::from(step) / f64::from(STEPS - 1)));
    }
    let mut bytes = Vec::new();
    let mut encoder =
        png::Encoder::new(&mut bytes, u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette);
    encoder.set_trns(vec![0u8]);
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(indices).ok()?;
    writer.finish().ok()?;
    Some(format!(
        "data:image/png;base64,{}",
        base64::engine::general_purpose::STANDARD.encode(bytes)
    ))
}

/// The colour of a level from 0 to 1.
fn viridis(level: f64) -> [u8; 3] {
    let x = level.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let i = (x as usize).min(VIRIDIS.len() - 2);
    let share = x - i as f64;
    std::array::from_fn(|c| {
        let (a, b) = (f64::from(VIRIDIS[i][c]), f64::from(VIRIDIS[i + 1][c]));
        (a + share * (b - a)).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_decodes_to_the_same_indices() {
        let indices = [shade(0.0), shade(0.5), shade(1.0), NOTHING, shade(2.0), shade(-1.0)];
        let uri = data_uri(3, 2, &indices).unwrap();
        let text = uri.strip_prefix("data:image/png;base64,").unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::IDENTITY);
        let mut reader = decoder.read_info().unwrap();
        let mut out = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut out).unwrap();
        assert_eq!((info.width, info.height), (3, 2));
        assert_eq!(out, indices);
        assert!(data_uri(3, 2, &indices[1..]).is_none());
    }
}
