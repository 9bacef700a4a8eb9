import { random } from '../../support/random.ts';
import { type Descriptor, type LayoutFolder, makeLayout } from './layout.ts';

/** Images on disk in the form of the OCI image-spec's layout, as `oci:FOLDER:NAME` for skopeo. */
export interface Layout extends AsyncDisposable {
  readonly folder: string;
  /** An image of three layers, `single`. */
  readonly single: string;
  /** An index of two such images for amd64 and arm64, `multi`. */
  readonly multi: string;
}

/** Writes a layout with one small image, named `image`. */
export async function writeImage(): Promise<LayoutFolder> {
  const layout = await makeLayout();
  const layers = [await layout.layer({ a: Buffer.from('first') }), await layout.layer({ b: Buffer.from('second') })];
  await layout.name(await layout.image(layers), 'image');
  return layout;
}

/** Writes a layout with an image and an index into a folder of its own. */
export async function writeLayout(): Promise<Layout> {
  const layout = await makeLayout();
  const { folder } = layout;
  const numbers = random(20_261_124);
  const image = async (architecture: string): Promise<Descriptor> => {
    const layers = [];
    for (let at = 0; at < 3; at += 1) layers.push(await layout.layer({ [`file-${at}`]: numbers.bytes(50_000) }));
    const labels = { 'org.opencontainers.image.revision': `revision-${architecture}` };
    return layout.image(layers, { architecture, labels });
  };
  const [amd64, arm64] = [await image('amd64'), await image('arm64')];
  await layout.name(await image('amd64'), 'single');
  await layout.name(
    await layout.index([
      { ...amd64, platform: { architecture: 'amd64', os: 'linux' } },
      { ...arm64, platform: { architecture: 'arm64', os: 'linux' } },
    ]),
    'multi',
  );
  return {
    folder,
    single: `oci:${folder}:single`,
    multi: `oci:${folder}:multi`,
    [Symbol.asyncDispose]: () => layout[Symbol.asyncDispose](),
  };
}
