/** How a user is made, as messages tell it. */
export const makeUser = 'npx shiplog htpasswd NAME';
