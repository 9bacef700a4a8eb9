import { distribution } from './distribution.ts';

/** Its program. */
export const registry2Binary = '/usr/bin/docker-registry';

/** Debian's docker-registry: distribution 2.8.2, of the releases that the image `registry:2` holds. */
export const registry2 = distribution(async () => registry2Binary);
