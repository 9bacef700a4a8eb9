import { ImageError } from './errors.ts';
import { type Descriptor, formatPlatform, type IndexManifest, isManifest, type Platform } from './manifest.ts';

/** `linux/arm64/v8` taken apart; undefined where it is none. */
export function parsePlatform(text: string): Platform | undefined {
  const [, os, architecture, variant] = /^([\w.-]+)\/([\w.-]+)(?:\/([\w.-]+))?$/.exec(text) ?? [];
  return os === undefined || architecture === undefined ? undefined : { os, architecture, variant };
}

/** What this machine's containers run on. */
export function hostPlatform(): Platform {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
  return { os: 'linux', architecture: names[process.arch] ?? process.arch };
}

/** Whether a platform is the one that is wanted; without a variant any will do. */
export function matches(platform: Platform | undefined, wanted: Platform): boolean {
  return (
    platform?.os === wanted.os &&
    platform.architecture === wanted.architecture &&
    (wanted.variant === undefined || wanted.variant === platform.variant)
  );
}

/** The children that can run: not attestations, which have the platform unknown. */
export function runnable({ children }: IndexManifest): Descriptor[] {
  return children.filter((child) => isManifest(child) && child.platform?.os !== 'unknown');
}

/** The child of a platform. @throws {ImageError} which says what there is instead */
export function pickChild(index: IndexManifest, wanted: Platform): Descriptor {
  const found = runnable(index).find(({ platform }) => matches(platform, wanted));
  if (found !== undefined) return found;
  const there = runnable(index).flatMap(({ platform }) => (platform === undefined ? [] : [formatPlatform(platform)]));
  throw new ImageError(
    `there is no image for ${formatPlatform(wanted)}; there is: ${there.join(', ') || 'none at all'}`,
  );
}
