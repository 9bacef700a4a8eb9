/** An image, or an archive of images, is not as it should be; the message says all. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
}
