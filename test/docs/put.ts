import { image, type TestImage } from '../support/images.ts';

/** The image that is put. */
export const web: TestImage = image();

/** Pushes an image as NAME:1.4 by HTTP. */
export async function putWeb(url: string, name = 'team/web'): Promise<void> {
  for (const { digest, bytes } of [web.config, ...web.layers]) {
    await send(`${url}/v2/${name}/blobs/uploads/?digest=${digest}`, 'POST', bytes, 'application/octet-stream');
  }
  await send(`${url}/v2/${name}/manifests/1.4`, 'PUT', web.manifest.bytes, web.manifest.mediaType);
}

async function send(url: string, method: string, body: Buffer<ArrayBuffer>, type: string): Promise<void> {
  const { status } = await fetch(url, { method, body, headers: { 'content-type': type } });
  if (status !== 201) throw new Error(`${method} ${url} was answered ${status}`);
}
