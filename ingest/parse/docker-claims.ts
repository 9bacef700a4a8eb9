import { parseDockerTag } from './docker-tag.ts';
import type { Claims } from './tagger.ts';

/** What a driver of Docker's sends with a line. */
export interface DockerFacts {
  /** As its template made it. */
  readonly tag?: string | undefined;
  readonly id?: string | undefined;
  /** With a slash before it, or without. */
  readonly name?: string | undefined;
  readonly image?: string | undefined;
  readonly imageId?: string | undefined;
  readonly host?: string | undefined;
  /** Labels and variables of the container: the drivers do not tell them apart. */
  readonly labels?: Readonly<Record<string, unknown>>;
}

/** What a line of Docker's says of where it comes from: the driver's own fields hold against those in the tag. */
export function dockerClaims({ tag = '', labels = {}, ...facts }: DockerFacts): Claims {
  const said = parseDockerTag(tag, true);
  const claims = {
    host: said?.host ?? facts.host,
    cluster: said?.cluster,
    containerId: facts.id ?? said?.id,
    containerName: (facts.name ?? said?.name)?.replace(/^\//, ''),
    image: facts.image ?? said?.image,
    imageId: facts.imageId ?? said?.imageId,
  };
  const texts = Object.entries(labels).map(([key, value]) => [
    key,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  return {
    ...definedOf(claims),
    runtime: 'docker',
    ...(texts.length > 0 && { labels: Object.fromEntries(texts) }),
  };
}

function definedOf(claims: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  const defined: Record<string, string> = {};
  for (const [key, value] of Object.entries(claims)) {
    if (value !== undefined && value !== '') defined[key] = value.toWellFormed();
  }
  return defined;
}
