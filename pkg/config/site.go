package config

import (
	"errors"
	"net/url"
	"strings"
)

// publicURL checks server.public_url: scheme and host, with a port if need be, and nothing else.
func publicURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil ||
		strings.TrimSuffix(s, "/") != u.Scheme+"://"+u.Host {
		return errors.New("is no address such as https://example.com")
	}
	return nil
}

// TenantOrigin gives the address of a tenant, as links in mails have it, such as "https://acme.example.com".
func (c Config) TenantOrigin(slug string) string {
	if u, err := url.Parse(c.Server.PublicURL); err == nil && u.Host != "" {
		return u.Scheme + "://" + slug + "." + u.Host
	}
	if c.Server.BaseDomain != "localhost" && !strings.HasSuffix(c.Server.BaseDomain, ".localhost") {
		return "https://" + slug + "." + c.Server.BaseDomain
	}
	return "http://" + slug + "." + c.Server.BaseDomain + c.Server.Addr[strings.LastIndexByte(c.Server.Addr, ':'):]
}
