// A file of its own, because the page's Content-Security-Policy allows no inline script.
window.ui = SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  defaultModelsExpandDepth: -1, // The schemas are shown where they are used.
  persistAuthorization: false, // A key stays in the page's memory and goes with it.
  validatorUrl: null, // The document is nobody else's business.
});
