import type { Source } from '../block.ts';
import type { ImageFacts, ImageReference } from '../images.ts';
import type { CommonFacts, SyslogHeader } from '../record.ts';
import { parseDockerTag, type DockerTag } from './docker-tag.ts';
import type { RendererOptions } from './documents.ts';
import type { Message } from './message.ts';
import { levels, renderCommon, type Common } from './render-ecs.ts';
import type { SyslogLine } from './syslog.ts';
import { originOf, referenceOf, type Claims } from './tagger.ts';

/** What lines with the same header from the same source have in common. */
export interface Context {
  readonly line: SyslogLine;
  readonly facts: CommonFacts;
  readonly common: Common;
  readonly image: ImageReference | undefined;
  readonly images: ImageFacts | undefined;
}

/** What a line tells of itself by its header, and the registry of its image. */
export function newContext(line: SyslogLine, source: Source, options: RendererOptions, images?: ImageFacts): Context {
  const { priority, hostname, appname, procid, msgid, structuredData } = line;
  const tag = appname === undefined ? undefined : parseDockerTag(appname, line.fromDocker);
  const claims = claimsOf(hostname, tag);
  const severity = priority === undefined ? undefined : priority & 7;
  const level = severity === undefined ? undefined : levels[severity];
  const syslog: SyslogHeader = {
    ...(priority !== undefined && { priority }),
    ...(hostname !== undefined && { hostname }),
    ...(appname !== undefined && { appname }),
    ...(procid !== undefined && { procid }),
    ...(msgid !== undefined && { msgid }),
    ...(structuredData && { structuredData }),
  };
  const facts: CommonFacts = {
    ...originOf(claims, source, options.clusters, images),
    ...(level !== undefined && { level }),
    ...(tag && severity === 6 && { stream: 'stdout' as const }),
    ...(tag && severity === 3 && { stream: 'stderr' as const }),
    ...(Object.keys(syslog).length > 0 && { syslog }),
  };
  return { line, facts, common: renderCommon(facts, options), image: referenceOf(claims), images };
}

function claimsOf(hostname: string | undefined, tag: DockerTag | undefined): Claims {
  const host = tag?.host ?? hostname;
  return {
    ...(host !== undefined && { host }),
    ...(tag && { runtime: 'docker' }),
    ...(tag?.cluster !== undefined && { cluster: tag.cluster }),
    ...(tag?.id !== undefined && { containerId: tag.id }),
    ...(tag?.name !== undefined && { containerName: tag.name }),
    ...(tag?.image !== undefined && { image: tag.image }),
    ...(tag?.imageId !== undefined && { imageId: tag.imageId }),
  };
}

/** What lines must share to share a context. */
export function contextKey(source: Source, { before, after }: NonNullable<SyslogLine['around']>): string {
  return `${source.connection}\0${before}\0${after}`;
}

/** What messages say that have fields, and the registry of their image. */
export function messageContext(
  { claims, level, stream }: Message,
  source: Source,
  options: RendererOptions,
  images?: ImageFacts,
): Context {
  const facts: CommonFacts = {
    ...originOf(claims, source, options.clusters, images),
    ...(level !== undefined && { level }),
    ...(stream !== undefined && { stream }),
  };
  const line = { fromDocker: false, message: 0 };
  return { line, facts, common: renderCommon(facts, options), image: referenceOf(claims), images };
}

/** What messages must share to share a context. */
export function messageKey({ connection }: Source, { claims, level, stream }: Message): string {
  return `${connection}\0${level ?? ''}\0${stream ?? ''}\0${JSON.stringify(claims)}`;
}
