import { expect, test } from 'vitest';
import { parseDockerTag } from '../../ingest/parse/docker-tag.ts';
import { parseImageName } from '../../ingest/parse/image-name.ts';

const [full, short] = ['ab'.repeat(32), 'abababababab'];
const digest = `sha256:${'cd'.repeat(32)}`;

test.each([
  [short, false, { id: short }],
  [`r.corp:5000/team/web:1.4/web-1/${short}`, false, { id: short, name: 'web-1', image: 'r.corp:5000/team/web:1.4' }],
  [
    `v1|${full}|web|web|${digest}|n1|c1`,
    false,
    { id: full, name: 'web', image: 'web', imageId: digest, host: 'n1', cluster: 'c1' },
  ],
  [`v1|${full}|web|web||n1`, false, { id: full, name: 'web', image: 'web', host: 'n1' }],
  ['web-1', true, { name: 'web-1' }],
  ['web-1', false, undefined],
  ['my web', true, undefined],
  ['v1|no id|a|b|c|d|e', true, undefined],
  [`v1|${full}|a|b|c|d|e|f`, true, undefined],
])('the tag %s', (tag, fromDocker, expected) => {
  expect(parseDockerTag(tag, fromDocker)).toEqual(expected);
});

test.each([
  ['nginx', { name: 'nginx', repository: 'nginx' }],
  ['nginx:1.27', { name: 'nginx', repository: 'nginx', tag: '1.27' }],
  ['team/web:1', { name: 'team/web', repository: 'team/web', tag: '1' }],
  ['r.corp/team/web', { name: 'r.corp/team/web', repository: 'team/web' }],
  ['host:5000/web', { name: 'host:5000/web', repository: 'web' }],
  ['localhost/web:2', { name: 'localhost/web', repository: 'web', tag: '2' }],
  [`r.corp/web:1@${digest}`, { name: 'r.corp/web', repository: 'web', tag: '1', digest }],
  ['web@sha256:short', { name: 'web', repository: 'web' }],
  [digest, { name: digest }],
])('the image %s', (text, expected) => {
  expect(parseImageName(text)).toEqual(expected);
});
