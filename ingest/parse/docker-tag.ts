/** What a tag of Docker's syslog driver says. */
export interface DockerTag {
  readonly id?: string;
  readonly name?: string;
  /** The image as the user typed it. */
  readonly image?: string;
  /** `ImageFullID`: a config's, a manifest's or an index's digest. */
  readonly imageId?: string;
  readonly host?: string;
  readonly cluster?: string;
}

const shortId = /^[0-9a-f]{12}$/;
const fullId = /^[0-9a-f]{64}$/;
const containerName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/**
 * Reads a tag: `v1|{{.FullID}}|{{.Name}}|{{.ImageName}}|{{.ImageFullID}}|{{.Hostname}}|CLUSTER`, Docker's default (the
 * short id), `{{.ImageName}}/{{.Name}}/{{.ID}}`, or `{{.Name}}`. Any program's name could be the latter: it counts only
 * where the rest of the header is such as Docker writes (`fromDocker`). `undefined`: it is none of them.
 */
export function parseDockerTag(tag: string, fromDocker: boolean): DockerTag | undefined {
  if (tag.startsWith('v1|')) return parseFullTag(tag);
  if (isId(tag)) return { id: tag };
  const parts = tag.split('/');
  const [id = '', name = ''] = [parts.pop(), parts.pop()];
  if (parts.length > 0 && isId(id) && containerName.test(name)) return { id, name, image: parts.join('/') };
  return fromDocker && containerName.test(tag) ? { name: tag } : undefined;
}

function parseFullTag(tag: string): DockerTag | undefined {
  const parts = tag.split('|');
  const [, id = '', name = '', image = '', imageId = '', host = '', cluster = ''] = parts;
  if (parts.length < 6 || parts.length > 7 || !isId(id)) return undefined;
  return {
    id,
    ...(name !== '' && { name: name.startsWith('/') ? name.slice(1) : name }),
    ...(image !== '' && { image }),
    ...(imageId !== '' && { imageId }),
    ...(host !== '' && { host }),
    ...(cluster !== '' && { cluster }),
  };
}

function isId(text: string): boolean {
  return shortId.test(text) || fullId.test(text);
}
