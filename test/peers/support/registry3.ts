import { distribution } from './distribution.ts';
import { goTool } from './go-tools.ts';

/** distribution 3.1.2, which the image `registry:3` holds, built from its sources. */
export const registry3 = distribution(() => goTool('github.com/distribution/distribution/v3/cmd/registry', 'v3.1.2'));
