/** Why settings of registry:2 have no counterpart: the first of these that a path begins with. */
const reasons: readonly [start: string, why: string][] = [
  ['version', ''],
  ['log', 'the log is JSON on stdout'],
  ['storage.cache', 'there is no cache of descriptors; the tree is always read, which lets registry:2 write to it too'],
  ['storage.maintenance.uploadpurging', 'uploads that nobody goes on with end by themselves: storage.upload_expiry'],
  ['storage.filesystem.maxthreads', 'there is no such limit'],
  ['storage.tag', 'there is no such limit'],
  ['storage.redirect', 'blobs are sent by the server itself, unless storage.s3.redirect is set'],
  ['storage.s3.skipverify', 'certificates are always verified; give those that sign the server’s in storage.s3.ca'],
  ['storage.s3.sessiontoken', 'credentials that end are found where the AWS SDK looks for them: leave out both keys'],
  ['storage.s3', 'parts, copies, signatures and the like are chosen by themselves'],
  ['auth.htpasswd.realm', 'the realm is always shiplog'],
  ['auth.token', 'tokens are made here, for the users of auth.htpasswd by auth.rules'],
  ['auth', 'users are those of auth.htpasswd'],
  ['http.secret', 'uploads need no secret'],
  ['http.relativeurls', 'URLs are always relative'],
  [
    'http.tls',
    'let a proxy in front, such as nginx, speak TLS; name it in http.trusted_proxies, and its URL in http.public_url',
  ],
  ['http.headers', 'let the proxy in front add headers'],
  ['http.debug', 'health is at /health/live and /health/ready, metrics are at /metrics, on http.listen'],
  ['http.http2', 'let the proxy in front speak HTTP/2'],
  ['http.h2c', 'let the proxy in front speak HTTP/2'],
  ['http.prefix', 'the registry is always at /v2/ of its host'],
  ['http.net', 'HTTP is served over TCP'],
  ['notifications', 'there are no notifications'],
  ['redis', 'there is no cache that would need it'],
  ['health', 'health is at /health/live and /health/ready'],
  ['proxy', 'it is no mirror of another registry'],
  ['compatibility', 'schema 1 is not taken'],
  [
    'validation',
    'a manifest whose blobs or children are missing is always refused; URLs of foreign layers are not checked',
  ],
  ['catalog', 'pages of the catalog have 10,000 names at most'],
  ['middleware', 'there is no middleware'],
  ['reporting', 'errors are in the log'],
];

/** Sections whose loss nobody but the server would notice. */
const harmless = new Set(
  `version log storage.cache storage.maintenance.uploadpurging storage.filesystem.maxthreads storage.tag
   storage.redirect storage.s3 auth.htpasswd.realm http.secret http.relativeurls http.debug http.http2 http.h2c redis
   health catalog reporting`.split(/\s+/),
);

/** What becomes of a setting that has no counterpart. */
export interface LeftOut {
  /** What it is a part of, such as `http.tls` of `http.tls.key`: its whole path where nothing is known of it. */
  readonly section: string;
  readonly why: string;
  /** Whether the registry is another one without it, for clients or for who may do what. */
  readonly matters: boolean;
}

/** Why a setting is left out; undefined: nothing is lost by it. */
export function reasonFor(path: string): LeftOut | undefined {
  // The driver has had other names.
  const known = path.replace(/^storage\.s3(?:aws|goamz)\./, 'storage.s3.');
  const [section, why] = reasons.find(([start]) => known === start || known.startsWith(`${start}.`)) ?? [
    path,
    'there is nothing like it',
  ];
  return why === '' ? undefined : { section, why, matters: !harmless.has(section) };
}
